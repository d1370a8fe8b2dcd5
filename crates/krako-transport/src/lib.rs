//! HTTP/2 over TLS and nothing else: what KrakoBackend speaks to a fabric, and a fabric's nodes among each other (C11.4).
