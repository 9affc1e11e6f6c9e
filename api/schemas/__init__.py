"""What comes in (`asked`) and what goes out (`answered`), each with an example in Chinese."""
