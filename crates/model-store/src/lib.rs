//! A model's weights on this machine: fetched once, pinned by digest, shared by processes.
