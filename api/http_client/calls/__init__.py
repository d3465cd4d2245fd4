"""Hold what is written of the API's document: a module for each heading."""
