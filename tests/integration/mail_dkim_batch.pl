#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# mail_dkim_batch.pl sign DOMAIN SELECTOR KEYFILE HEADER/BODY FROM TO
# mail_dkim_batch.pl verify KEYS FOLDER
#
# The same as dkim_batch, by Mail::DKIM: a line "name result detail" for each file. KEYS has a line
# "name text" for each TXT record; nothing else is asked.
use strict;
use warnings;

use Mail::DKIM::DNS;
use Mail::DKIM::Signer;
use Mail::DKIM::Verifier;
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

sub sign {
	my ($domain, $selector, $key, $canon, $from, $to) = @_;
	for my $name (files($from)) {
		my $raw = contents("$from/$name");
		my $signer = Mail::DKIM::Signer->new(
			Algorithm => 'rsa-sha256', Method => $canon, Domain => $domain, Selector => $selector,
			KeyFile => $key);
		$signer->PRINT($raw);
		$signer->CLOSE;
		open my $out, '>:raw', "$to/$name" or die "$to/$name: $!\n";
		print {$out} $signer->signature->as_string, "\r\n", $raw;
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
		my $verifier = Mail::DKIM::Verifier->new;
		$verifier->PRINT(contents("$folder/$name"));
		$verifier->CLOSE;
		printf "%s %s\n", $name, $verifier->result_detail;
	}
}

my $what = shift @ARGV // '';
if ($what eq 'sign') { sign(@ARGV) }
elsif ($what eq 'verify') { verify(@ARGV) }
else { die "sign or verify\n" }
