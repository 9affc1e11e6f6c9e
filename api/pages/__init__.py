"""Pages that mails lead to: plain HTML made on the server, without scripts, cookies or anything from elsewhere."""
