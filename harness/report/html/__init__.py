"""A report as one page that needs nothing from elsewhere: HTML with its pictures, style, script and data inside."""
