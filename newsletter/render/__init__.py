"""From a tip to bytes: Markdown, templates, inlining, splicing, MIME."""
