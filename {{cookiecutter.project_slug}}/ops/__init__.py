"""What happens around a model: gates, report, registry, monitoring, adoption, doctor, machines."""
