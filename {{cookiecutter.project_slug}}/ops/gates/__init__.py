"""May this model be promoted?"""
