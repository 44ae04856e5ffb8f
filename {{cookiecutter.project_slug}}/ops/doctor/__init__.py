"""Can this checkout run and publish?"""
