"""The command line: clients of the server over treq."""
