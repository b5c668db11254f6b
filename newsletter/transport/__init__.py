"""SMTP: connections, transactions, and a catcher that receives instead of relaying."""
