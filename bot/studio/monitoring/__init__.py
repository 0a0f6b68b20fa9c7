"""Health checks and figures for Prometheus, where PINCEL_METRICS asks for them."""
