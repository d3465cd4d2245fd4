"""Answer what is asked of the API of our own: a module for each noun."""
