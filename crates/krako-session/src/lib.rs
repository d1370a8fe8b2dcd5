//! A session as events, both ways: a fabric writes them from a run, whoever reads them makes a run of them again (C5.4).
//!
//! Pure, as the engine is: no clock, no network, no randomness. Writing, verifying, recovering after a crash and
//! replaying are one set of rules, so they cannot disagree.
