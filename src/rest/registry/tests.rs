//! The API without a network: requests into the router, a log in memory behind it.
