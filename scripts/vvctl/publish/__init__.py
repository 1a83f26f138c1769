"""Put a built image where machines are launched from: a folder for each target."""
