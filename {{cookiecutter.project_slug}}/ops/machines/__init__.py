"""Which machine trains, who hires it, who ends it, and the cloud account around it."""
