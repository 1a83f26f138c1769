"""Build the appliance image: one small module a phase, put in order by `vvctl.image.build`."""
