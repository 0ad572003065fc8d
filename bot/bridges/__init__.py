"""Alerts that other systems send: their JSON in, our alerts out. Pure: who may send is looked at in web/bridges.py."""
