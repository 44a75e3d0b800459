#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# mail_dkim_batch.pl sign DOMAIN SELECTOR KEYFILE HEADER/BODY FROM TO
# mail_dkim_batch.pl verify KEYS FOLDER
#
# mail_dkim_batch.pl arc-seal DOMAIN SELECTOR KEYFILE FROM TO
# mail_dkim_batch.pl arc-verify KEYS FOLDER
#
# The same as dkim_batch and arc_batch, by Mail::DKIM: a line "name result detail" for each file. KEYS has a line
# "name text" for each TXT record; nothing else is asked.
use strict;
use warnings;

use Mail::DKIM::ARC::Signer;
use Mail::DKIM::ARC::Verifier;
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

sub write_out {
	my ($path, @text) = @_;
	open my $out, '>:raw', $path or die "$path: $!\n";
	print {$out} @text;
	close $out or die "$path: $!\n";
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
		write_out("$to/$name", $signer->signature->as_string, "\r\n", $raw);
	}
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
		write_out("$to/$name", $signer->as_string =~ s/\r?\n?\z/\r\n/r, $raw);
	}
}

sub verify {
	my ($class, $keys, $folder) = @_;
	my %records = map { /^(\S+) (.*)/ ? ($1 => $2) : () } split /\n/, contents($keys);
	no warnings 'redefine';
	*Mail::DKIM::DNS::query = sub {
		my ($name) = @_;
		return unless exists $records{$name};
		my @strings = $records{$name} =~ /(.{1,255})/g;
		return Net::DNS::RR->new(name => $name, type => 'TXT', txtdata => \@strings);
	};
	for my $name (files($folder)) {
		my $verifier = $class->new;
		$verifier->PRINT(contents("$folder/$name"));
		$verifier->CLOSE;
		printf "%s %s\n", $name, $verifier->result_detail;
	}
}

my $what = shift @ARGV // '';
if ($what eq 'sign') { sign(@ARGV) }
elsif ($what eq 'verify') { verify('Mail::DKIM::Verifier', @ARGV) }
elsif ($what eq 'arc-seal') { seal(@ARGV) }
elsif ($what eq 'arc-verify') { verify('Mail::DKIM::ARC::Verifier', @ARGV) }
else { die "sign, verify, arc-seal or arc-verify\n" }
