"""Tests of backend/instructions."""
