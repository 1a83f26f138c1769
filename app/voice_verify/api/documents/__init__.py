"""The documents of the API, as they go over the wire: a module for each kind of thing."""
