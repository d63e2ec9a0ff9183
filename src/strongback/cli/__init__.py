"""Commands: `flask …` of the framework's parts."""
