"""Mamba's selective scan: its definition, its fast form, and how that is cut up."""
