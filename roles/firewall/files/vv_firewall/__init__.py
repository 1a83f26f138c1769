"""The firewall: rules from the port table, from who may use which port, and from whether there is TLS."""
