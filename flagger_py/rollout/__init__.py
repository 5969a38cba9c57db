"""The pure core: what is observed (`World`), what to do next (`decide`), and the values they are made of. No I/O, clock or log."""
