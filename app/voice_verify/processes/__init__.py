"""Processes of the service's own: started with a socket, spoken to in messages, replaced when they die or hang."""
