"""The OVA in a vCenter: as a template, by the vSphere API, or in a content library, by its REST API."""
