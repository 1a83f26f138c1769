"""HTTP and WebSocket: what goes over the wire. No decision is made here."""
