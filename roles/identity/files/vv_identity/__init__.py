"""What makes a machine the appliance that it is: kept on the data disk, taken over by a new system disk."""
