"""Licences as the vendor handles them: keys, issuing, checking. What one is stands in `voice_verify.licence`."""
