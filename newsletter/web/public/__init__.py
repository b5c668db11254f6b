"""The pages that everybody may open: signing up, confirming, and what a reader decides about their own mail."""
