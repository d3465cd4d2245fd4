# Makes ext a package that other Cython projects can cimport from.
