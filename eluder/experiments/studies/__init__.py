"""Built-in studies: files of plain data, run by name."""
