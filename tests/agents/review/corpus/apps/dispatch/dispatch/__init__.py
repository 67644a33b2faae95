"""Dispatch: parcels, drivers and routes of a courier service."""
