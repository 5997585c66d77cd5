"""One file for each module, or for each part of a package; what is typed in goes in, exact text or value comes out."""
