"""A small client of the API: live enrolment and verification as a call would bring them."""
