"""Campaigns that attack the promises: bounded, seeded, each able to fail. ``make chaos`` runs their long forms."""
