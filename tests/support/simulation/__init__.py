"""Site directories with any content, and simulated installers and people that change them."""
