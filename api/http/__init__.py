"""Answer HTTP: our own API, and the wire formats of clients that speak another product's.

`app` puts it together, `serving` listens. A route knows who asks by `security`, says what is wrong
by `problems`, and is declared by `routing`, so that all of them are declared alike.
"""
