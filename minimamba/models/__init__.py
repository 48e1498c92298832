"""EchoMamba4Rec and the models it is compared with."""
