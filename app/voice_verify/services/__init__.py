"""What the service does, without HTTP: the API calls it, and it calls the engine and the store."""
