"""From source videos to latents in a store: the frozen VAE over whole datasets, by many workers, safe from kills."""
