//! The filter language of the operations list.
