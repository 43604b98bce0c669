#!/usr/bin/perl
# Tells each client its version, instance and process number. `/eat` takes memory without end.
use strict;
use warnings;
use IO::Socket::INET;

# From the unit and from the variables: both are of one version, or the client sees it.
my $version = $ARGV[0] eq $ENV{RELEASE} ? $ARGV[0] : "$ARGV[0] and $ENV{RELEASE}";
my $server = IO::Socket::INET->new(
    LocalAddr => $ENV{ADDRESS} // '0.0.0.0', LocalPort => $ENV{PORT}, Listen => 64, ReuseAddr => 1,
) or die "listen: $@";
while (1) {
    my $client = $server->accept or next;
    my $request = <$client> // '';
    while (my $header = <$client>) {
        last if $header =~ /^\r?\n$/;
    }
    if ($request =~ m{^GET /eat }) {
        my @eaten;
        push @eaten, 'x' x 1_000_000 while 1;
    }
    my $text = "version $version instance $ENV{NODE_APP_INSTANCE} process $$\n";
    print $client "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ", length $text, "\r\n\r\n$text";
    close $client;
}
