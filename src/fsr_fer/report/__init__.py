"""Tables, figures and one page from all methods, and what a change does to them."""
