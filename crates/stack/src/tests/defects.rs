//! One test for each defect that a review found.
