#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# mail_arc_batch.pl seal DOMAIN SELECTOR KEYFILE FROM TO
# mail_arc_batch.pl verify KEYS FOLDER
#
# The same as arc_batch, by Mail::DKIM::ARC. KEYS has a line "name text" for each TXT record; nothing else
# is asked.
use strict;
use warnings;

use Mail::DKIM::ARC::Signer;
use Mail::DKIM::ARC::Verifier;
use Mail::DKIM::DNS;
use Net::DNS;

sub contents {
	my ($path) = @_;
	open my $f, '<:raw', $path or die "$path: $!\n";
	local $/;
	my $text = <$f>;
	return defined $text ? $text : '';
}

sub files {
	my ($folder) = @_;
	opendir my $d, $folder or die "$folder: $!\n";
	return sort grep { !/^\./ } readdir $d;
}

sub seal {
	my ($domain, $selector, $key, $from, $to) = @_;
	for my $name (files($from)) {
		my $raw = contents("$from/$name");
		my $signer = Mail::DKIM::ARC::Signer->new(
			Algorithm => 'rsa-sha256', Chain => 'ar', Domain => $domain, SrvId => $domain,
			Selector => $selector, KeyFile => $key);
		$signer->PRINT($raw);
		$signer->CLOSE;
		die "$name: ", $signer->result_detail, "\n" unless $signer->result eq 'sealed';
		my $set = $signer->as_string;
		$set =~ s/\r?\n?\z/\r\n/;
		open my $out, '>:raw', "$to/$name" or die "$to/$name: $!\n";
		print {$out} $set, $raw;
		close $out or die "$to/$name: $!\n";
	}
}

sub verify {
	my ($keys, $folder) = @_;
	my %records = map { /^(\S+) (.*)/ ? ($1 => $2) : () } split /\n/, contents($keys);
	no warnings 'redefine';
	*Mail::DKIM::DNS::query = sub {
		my ($name) = @_;
		return unless exists $records{$name};
		my @strings = $records{$name} =~ /(.{1,255})/g;
		return Net::DNS::RR->new(name => $name, type => 'TXT', txtdata => \@strings);
	};
	for my $name (files($folder)) {
		my $verifier = Mail::DKIM::ARC::Verifier->new;
		$verifier->PRINT(contents("$folder/$name"));
		$verifier->CLOSE;
		print "$name ", $verifier->result, ' ', $verifier->result_detail, "\n";
	}
}

my $command = shift @ARGV // '';
$command eq 'seal'   ? seal(@ARGV)
: $command eq 'verify' ? verify(@ARGV)
:                        die "usage: seal DOMAIN SELECTOR KEYFILE FROM TO | verify KEYS FOLDER\n";
