"""The pages for a person: sign in, see a clinic's day, edit it. The same for every vendor."""
