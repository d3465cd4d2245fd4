"""Import customers, events and attribute changes from files into an audience folder."""
