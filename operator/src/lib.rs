//! The GreenCommerce operator: reconciles stores, their services, databases and topics.
