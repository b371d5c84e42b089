//! The call detail record.
